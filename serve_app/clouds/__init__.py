"""Rented machines: create, start, stop and look at one, and stop it automatically when nobody uses it.

Each provider has a file that knows its published API and sends nothing. `api` sends the requests, `machines` puts the
two together, `autostop` decides when to stop and knows neither Ray nor HTTP, `served` runs it beside a real server.
"""
