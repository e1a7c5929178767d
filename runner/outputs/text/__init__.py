"""Sentences, figures, tables and escaping that several output formats share."""
