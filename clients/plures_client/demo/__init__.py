"""`plures demo`: the main job on real data, from recorded people to copies that solve a problem together."""
