"""`report.html`: one file to open from disk, with replies side by side. It loads nothing from the network.

`page` makes a model of the page from runs, `document` fills the template with it, and four scripts add behaviour:
`before_paint.js`, `word_diff.js`, `grid.js` and `blind_vote.js`.
"""
