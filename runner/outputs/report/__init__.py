"""`report.html`: one file to open from disk, in which replies are read side by side. Nothing comes from the network.

A page model is made of runs (`page`), a template is filled with it (`document`); what moves is in three small scripts.
"""
