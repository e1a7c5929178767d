"""`report.html`: one file to open from disk, with replies side by side. It loads nothing from the network.

`report_page` makes a model of the page from runs, a module for each of its parts, and `render_html` fills the templates
with it. Style sheets and scripts are written into the page.
"""
