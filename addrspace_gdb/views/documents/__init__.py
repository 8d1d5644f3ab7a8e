"""The JSON documents, one file each, and their schemas."""
