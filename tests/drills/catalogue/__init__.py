"""The drills, one module per drill. The package `drills` explains how to add one."""
