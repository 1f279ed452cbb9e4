"""The page of a person's devices: the remembered browsers, and a code that logs another device in."""

from __future__ import annotations

import re

from mograder.domain.access import Allow
from mograder.domain.devices import Device
from mograder.domain.errors import Forbidden
from mograder.web.pages.page import Page
from mograder.web.pages.page_request import Answer, PageRequest, PageRoute

BROWSERS = (("Edg", "Edge"), ("OPR", "Opera"), ("Firefox", "Firefox"), ("Chrom", "Chrome"), ("Safari", "Safari"))
SYSTEMS = (
    ("Android", "Android"), ("iPhone", "iPhone"), ("iPad", "iPad"), ("Windows", "Windows"), ("Mac OS", "macOS"),
    ("CrOS", "ChromeOS"), ("Linux", "Linux"),
)  # fmt: skip


def browser_name(agent: str) -> str:
    """A name for a browser that sends this User-Agent."""
    browser = next((name for sign, name in BROWSERS if sign in agent), "A browser")
    system = next((name for sign, name in SYSTEMS if re.search(sign, agent)), "")
    return f"{browser} on {system}" if system else browser


class YourDevices(Page, frozen=True):
    """`current` is the id of this session. A `code` logs another device in once, `until` Unix microseconds."""

    template = "devices.html"
    heading = "Your devices"
    devices: tuple[Device, ...]
    current: str
    code: str = ""
    until: int = 0


def devices(request: PageRequest) -> YourDevices:
    if request.session is None or request.actor.username.reserved:
        raise Forbidden("this page is for people with an account of their own")
    return YourDevices(request.frame, request.course.devices.of(request.actor), request.session.id)


def code(request: PageRequest) -> Answer:
    """Show a code that logs another device in."""
    page = devices(request)
    given, until = request.course.login_codes.give(request.actor, request.actor.username)
    return YourDevices(page.frame, page.devices, page.current, given, until)


def end(request: PageRequest) -> Answer:
    """Log a remembered browser out."""
    devices(request)
    request.course.devices.end(request.actor, request.form.get("device", ""))
    return request.to("/devices")


VIEWS: tuple[PageRoute, ...] = (
    PageRoute("GET", "/devices", Allow.MEMBER, devices),
    PageRoute("POST", "/devices/code", Allow.MEMBER, code),
    PageRoute("POST", "/devices/end", Allow.MEMBER, end),
)
