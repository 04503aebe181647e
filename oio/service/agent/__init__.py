"""The conscience's agent: checks the services of a machine and tells the conscience how they are."""
