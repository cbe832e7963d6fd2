"""The Space: its card and deployment, the hardware it runs on, and what that allows.

``card`` and ``deploy`` read ``spaces.yaml``; ``hub`` is the only module that talks to the Hub.
``hardware``, ``cost``, ``offer`` and ``limits`` are what the page asks before work starts; ``gpu``
runs that work where a GPU is lent for a while.
"""
