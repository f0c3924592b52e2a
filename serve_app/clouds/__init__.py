"""Rented machines: create, start, stop and ask after one, and stop it by itself once nobody speaks.

One file a provider, which knows its published API and sends nothing; `api` sends; `machines`
puts the two together; `autostop` decides, and knows neither Ray nor HTTP.
"""
