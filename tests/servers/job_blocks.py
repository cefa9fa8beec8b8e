"""The blocks of Nomad's job specification, and those that a job file uses."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

Path = tuple[str, ...]

# Nomad 1.11, the "Placement" line of each page. Left out: what drivers, proxies and autoscalers define below their own `config` and
# `policy`, and an API gateway's block, which there is none of (one is run as an ordinary task).
# Source: https://developer.hashicorp.com/nomad/docs/job-specification
_TREE: Final = """
job
    affinity
    constraint
    group
        affinity
        constraint
        consul
        disconnect
        ephemeral_disk
        meta
        migrate
        network
            cni
            dns
            port
        reschedule
        restart
        scaling
            policy
        secret
            config
        service
            canary_meta
            check
                check_restart
                header
            check_restart
            connect
                gateway
                    ingress
                        listener
                            service
                                request_headers
                                    add
                                    set
                                response_headers
                                    add
                                    set
                                tls
                                    sds
                        tls
                            sds
                    mesh
                    proxy
                        config
                        envoy_gateway_bind_addresses
                    terminating
                        service
                sidecar_service
                    meta
                    proxy
                        config
                        expose
                            path
                        transparent_proxy
                        upstreams
                            config
                            mesh_gateway
                sidecar_task
                    config
                    env
                    identity
                    logs
                    meta
                    resources
                    volume_mount
            identity
            meta
            tagged_addresses
            weights
        spread
            target
        task
            action
            affinity
            artifact
                headers
                options
            config
            constraint
            consul
            csi_plugin
            dispatch_payload
            env
            identity
            lifecycle
            logs
            meta
            resources
                device
                    affinity
                    constraint
                network
                    port
                numa
            restart
            scaling
                policy
            schedule
                cron
            secret
                config
                env
            service
                canary_meta
                check
                    check_restart
                    header
                check_restart
                identity
                meta
                tagged_addresses
                weights
            template
                change_script
                wait
            vault
            volume_mount
        update
        vault
        volume
            mount_options
    meta
    migrate
    multiregion
        region
            meta
        strategy
    parameterized
    periodic
    reschedule
    secret
    spread
        target
    task
        vault
    ui
        link
    update
    vault
locals
variable
    validation
"""

_HEADER: Final = re.compile(r'(?P<name>[a-z_]+)(?P<labels>(?: "[^"]*")*) \{')
_HEREDOC: Final = re.compile(r"<<-?(\w+)$")


def specification() -> frozenset[Path]:
    """Every block, by the names of the blocks around it and its own."""
    found: list[Path] = []
    for line in _TREE.split("\n"):
        depth = (len(line) - len(line.lstrip())) // 4
        above = next((path for path in reversed(found) if len(path) == depth), ())
        found.append((*above, line.strip()))
    return frozenset(path for path in found if path[-1])


def blocks_of(text: str) -> Iterator[Path]:
    """Blocks of a job file as `nomad fmt` writes it; a `dynamic` block counts as what it makes."""
    inside: list[str] = []
    heredoc = ""
    for line in map(str.strip, text.splitlines()):
        if heredoc:
            heredoc = "" if line == heredoc else heredoc
            continue
        if opened := _HEREDOC.search(line):
            heredoc = opened[1]
        if line.startswith(("}", "]", ")")):
            inside.pop()
        header = _HEADER.match(line)
        name = "" if header is None else header["labels"].strip(' "') if header["name"] == "dynamic" else header["name"]
        if name:
            yield tuple(one for one in (*inside, name) if one != "content")
        if line.endswith(("{", "[", "(")):
            inside.append(name)
