"""The loader service: images for one farm each, made by patching a finished build while it is sent."""
