"""Bytes from anybody, searched for by coverage (atheris): what reads them answers or refuses, in bounded memory."""
