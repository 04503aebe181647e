"""What runs inside a booted node before `zosd`: first process, stages of the boot, console.

Files that the first process needs import the standard library alone: it starts without `site`, in about a second on
the slowest emulator.
"""
