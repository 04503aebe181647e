"""Sources of the package `dynamo`."""
