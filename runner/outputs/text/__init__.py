"""Sentences, figures and escaping that several output formats share."""
