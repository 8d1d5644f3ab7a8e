"""What views are made with: text, tables, boxes, tokens and styles."""
