"""What a person or a script sees: one file a form. Knows no debugger."""
