"""What overlayd needs, in time, memory and bytes, beside what its parts cost by themselves.

`sudo ./benchmark` installs it as an operator does and runs `python -m benchmarks`. For each number
of Nodes `one_size` sets up an API server, a node and the daemon in namespaces of their own, and has
`starting`, `drift`, `heartbeats`, `joins`, `asking` and `restarting` each measure one thing, and
`parts` the parts. Everything is real but the API server, which is the development one in a process
of its own, and the other nodes, which are Nodes with nothing behind them.
"""
