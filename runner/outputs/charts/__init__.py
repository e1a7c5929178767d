"""Charts of a run as inline SVG: pure functions that return a `Chart`, or None where there is nothing to draw.

    swarm         every request as a dot, medians with their intervals
    ecdf          the share of requests within a time, from n 20
    phases        where the time of each target's median request went
    scatter       TTFT against the prompt's size, total against the reply's
    arrivals      text arriving over time, a line for each reply
    waterfall     every request in time
    sweep         TTFT, tokens and goodput over the levels of a sweep
    time_of_day   TTFT over the day of a run whose rounds are spread
    tradeoff      cost, quality and time of each target
    variants      speed, tokens, cost and quality over the variants of each model
    history       the levels of a target over many runs, and by the hour of the day

`run_charts` draws all charts of a run, and reads once what several need of its records; `chart` draws one for a wide
and a narrow window, and with both kinds of scale where values allow it. The other modules are what charts share.

A page decides on the size of charts (they scale), on their ink (`currentColor`) and on their colours (`--series-1` to
`--series-8`); it must give each chart's canvas a `prefix` of its own, with which all its ids begin.
"""
