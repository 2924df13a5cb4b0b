"""How large can a search be? Measured costs of proposals and storages, and a simulation of many workers."""
