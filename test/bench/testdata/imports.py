import argparse
import asyncio
import concurrent.futures
import csv
import ctypes
import decimal
import difflib
import email.message
import fractions
import html.parser
import http.client
import json
import logging.config
import multiprocessing.pool
import pydoc
import ssl
import unittest
import urllib.request
import uuid
import xml.etree.ElementTree


def handler(event, context):
    return "done"
