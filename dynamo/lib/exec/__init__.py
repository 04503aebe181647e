"""Applications that belong to the system: give the path of one to `dynamo`."""
