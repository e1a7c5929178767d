"""Suite files: their schema, templates, case files, and imports from other tools."""
