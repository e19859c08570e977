"""How fast the portal is, beside a bare Django on the same server and database.

    make bench                        everything, with a table and bench/results/bench.json
    make bench PARTS=verify,worker    some parts; the figures of the others stay as they were
    make bench RESUME=1               only the parts that were not measured at this commit

What counts is the CPU of the server's processes for one operation, user and system together: it is
the same whether the machine has something else to do or not. Systems take turns window by window,
so that whatever slows the machine slows all of them; a figure is the median of its windows.
"""
