"""Captions of unlabelled images: recorded with the project, or asked of a teacher.

`recorded` and `ask` are what the stage calls; `server` speaks with any OpenAI-compatible server, `local` runs a model
here; `book` keeps every answer the moment it arrives; `notice` says where images go; `key` reads a server's key. Not
covered: several images a question, and sampling of question-answer pairs through a server.
"""
