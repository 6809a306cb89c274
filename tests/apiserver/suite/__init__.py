"""What overlayd relies on in an API server, as tests that any server can be put under.

Each module has one test case to be derived from; the derived class says which server it is:

    class Lists(lists.Lists):
        def server(self) -> ServerUnderTest:
            return ...

The suite talks HTTP from outside, makes and deletes Nodes with names of its own, and assumes
neither an empty store nor any version number.
"""
