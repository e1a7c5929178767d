"""The judgement of pairs of replies, on a terminal, as Markdown, as JSON, and in words that the page shares."""
