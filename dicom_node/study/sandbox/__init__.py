"""The analysis process: received bytes are read and decoded nowhere else, within limits of time and memory.

The worker keeps the database, the files and the deliveries, and asks one long-lived child that holds
the networks. What a hostile image does to that child costs the child.
"""
