"""The heap: pages, spans, size classes, the page map."""
