"""What is wrong with this node and what to do about it, in plain words.

`judgement` turns facts into findings and is pure; `facts` goes and looks; `Doctor` does both every minute and keeps the
report where the node's own screen finds it, also while the daemon is down.
"""
