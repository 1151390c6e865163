"""Counters: children write them into their slab, the service sums and shows them at a scrape."""
