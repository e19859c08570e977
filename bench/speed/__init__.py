"""How fast the portal is (`make bench`), one script for each question.

    verify    what a code, the verification page and a request cost, beside a bare Django
    pages     how long pages take at 1,000, 100,000 and 1,000,000 users, and what they ask the database
    worker    what an idle worker costs, and how it ends 10,000 grants
    active    how long a user waits from the click on "Request access" to "Active"

Operations are measured in interleaved windows; a figure is the median of its windows.
"""
