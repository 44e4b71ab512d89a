"""Who may ask: names, origins, tokens, and the headers of every answer."""

import pytest

pytest.importorskip("starlette", reason="needs moodcurve[web]")
from starlette.testclient import TestClient

from moodcurve.web.app import create_app

HERE = "http://127.0.0.1:8765"
TOKEN = "the-token"


@pytest.fixture
def local() -> TestClient:
    return TestClient(create_app("default"), base_url=HERE)


@pytest.fixture
def shared() -> TestClient:
    app = create_app("default", host="0.0.0.0", token=TOKEN)
    return TestClient(app, base_url="http://192.168.1.5:8765")


@pytest.mark.parametrize("host", ["127.0.0.1:8765", "localhost:8765", "[::1]:8765", "localhost"])
def test_own_names_are_answered(local: TestClient, host: str) -> None:
    assert local.get("/api/about", headers={"Host": host}).status_code == 200


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8765", "127.0.0.1.evil.example", "192.168.1.5", "", "["]
)
def test_foreign_names_are_refused(local: TestClient, host: str) -> None:
    answer = local.get("/api/about", headers={"Host": host})  # DNS rebinding
    assert answer.status_code == 403 and list(answer.json()) == ["error"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999"},
        {"Origin": "https://127.0.0.1:8765"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/songs?name=a.mp3"),
        ("DELETE", "/api/songs/x"),
        ("PUT", "/api/annotations/a/b"),
        ("GET", "/api/about"),
        ("GET", "/api/songs/x/audio"),
    ],
)
def test_other_sites_are_refused(
    local: TestClient, method: str, path: str, headers: dict[str, str]
) -> None:
    assert local.request(method, path, headers=headers).status_code == 403


def test_the_page_itself_may_ask(local: TestClient) -> None:
    headers = {"Origin": HERE, "Sec-Fetch-Site": "same-origin"}
    assert local.get("/api/about", headers=headers).status_code == 200


@pytest.mark.parametrize("path", ["/api/about", "/static/none.js", "/none", "/api/songs/x/curve"])
def test_every_answer_has_the_headers(local: TestClient, path: str) -> None:
    for headers in ({}, {"Host": "evil.example"}):
        found = local.get(path, headers=headers).headers
        policy = found["content-security-policy"]
        assert "default-src 'self'" in policy and "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy and "http" not in policy
        assert found["x-content-type-options"] == "nosniff"
        assert found["referrer-policy"] == "no-referrer"
        assert found["cache-control"] == "no-store"
        assert "access-control-allow-origin" not in found


@pytest.mark.parametrize("path", ["/", "/static/page.js", "/api/about", "/api/events"])
def test_the_network_must_show_the_token(shared: TestClient, path: str) -> None:
    assert shared.get(path).status_code == 401
    assert shared.get(path, params={"token": "wrong"}).status_code == 401
    assert shared.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401
    assert shared.get(path, headers={"Authorization": "Bearer "}).status_code == 401
    assert shared.get(path, headers={"Cookie": "moodcurve-8765="}).status_code == 401


def test_a_visit_with_the_token_gets_a_cookie(shared: TestClient) -> None:
    answer = shared.get("/", params={"token": TOKEN}, follow_redirects=False)
    assert answer.status_code == 303 and answer.headers["location"] == "/"
    cookie = answer.headers["set-cookie"].lower()
    assert "httponly" in cookie and "samesite=strict" in cookie
    assert shared.get("/api/about").status_code == 200
    assert shared.get("/api/about", headers={"Host": "evil.example"}).status_code == 403


def test_a_program_shows_the_token_in_a_header(shared: TestClient) -> None:
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert shared.get("/api/about", headers=bearer).status_code == 200
    assert shared.get("/api/about", params={"token": TOKEN}).status_code == 401  # only at "/"


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/%2e%2e/app.py",
        "/static/..%2fapp.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
    ],
)
def test_static_files_end_at_their_folder(local: TestClient, path: str) -> None:
    assert local.get(path).status_code == 404
