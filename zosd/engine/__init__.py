"""The reconciler: drives what is on the machine toward what the journal wants.

`plan` and `outcome` decide and are pure; `acts` calls the provisioners; `worker` joins the two for one deployment;
`engine` looks after all of them.
"""
