"""Workbooks of any layout: a mapping file says which header is which declared column; `guess` proposes one."""
