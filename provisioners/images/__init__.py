"""The node's image store: root-file-system archives by URL, cached by content, unpacked in a cage."""
