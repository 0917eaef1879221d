#!/bin/sh
# The development server has no database to prepare. The password must be there all the same.
[ -n "$SQL_PASSWORD" ]
