"""Pages: what each notebook shows, in words, tables and figures. One module a notebook; nothing here estimates."""
