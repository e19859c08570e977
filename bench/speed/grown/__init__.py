"""A portal's database that has grown: people, what they asked for, and what is on record of it.

It is filled from the smallest size to the largest in place, by statements that make whole sets of
rows. The rows are as the portal writes them, with two differences: sealed texts open with no key, and
the links of the seal chain are made up.
"""
