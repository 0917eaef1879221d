#!/bin/bash
# nc -z HOST PORT
exec bash -c "</dev/tcp/$2/$3"
