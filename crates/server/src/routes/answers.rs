// SPDX-License-Identifier: Apache-2.0 OR MIT
//! Which errors an operation may answer with, by what it is rather than by hand: a route's own words stand, the rest follows
//! from its method, path, parameters, body, and whether it is protected.

use utoipa::openapi::path::{HttpMethod, Operation, Parameter, ParameterIn, PathItem};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, Response};

/// Completes the errors of every operation.
pub(super) fn complete(document: &mut OpenApi) {
    for (path, item) in &mut document.paths.paths {
        for (method, operation) in operations(item) {
            for status in statuses(&method, path, operation) {
                let responses = &mut operation.responses.responses;
                responses.entry(status.to_string()).or_insert_with(|| RefOr::T(problem(status)));
            }
        }
    }
}

fn operations(item: &mut PathItem) -> Vec<(HttpMethod, &mut Operation)> {
    let all = [
        (HttpMethod::Get, &mut item.get),
        (HttpMethod::Put, &mut item.put),
        (HttpMethod::Post, &mut item.post),
        (HttpMethod::Delete, &mut item.delete),
        (HttpMethod::Patch, &mut item.patch),
    ];
    all.into_iter().filter_map(|(method, operation)| Some((method, operation.as_mut()?))).collect()
}

/// The errors that may come of an operation, whatever its route does.
fn statuses(method: &HttpMethod, path: &str, operation: &Operation) -> Vec<u16> {
    // Health is asked by machines that know nothing but whether it is well.
    if !path.starts_with("/api/") {
        return Vec::new();
    }
    let is_protected = operation.security.as_ref().is_some_and(|security| !security.is_empty());
    let inline = |parameter: &RefOr<Parameter>| match parameter {
        RefOr::T(parameter) => Some(parameter.clone()),
        RefOr::Ref(_) => None,
    };
    let parameters: Vec<_> =
        operation.parameters.as_deref().unwrap_or_default().iter().filter_map(inline).collect();
    let has = |place: ParameterIn| parameters.iter().any(|parameter| parameter.parameter_in == place);
    let takes = |header: &str| parameters.iter().any(|parameter| parameter.name.eq_ignore_ascii_case(header));
    let body = operation.request_body.as_ref();
    let is_json = matches!(body, Some(RefOr::T(body)) if body.content.contains_key("application/json"));
    let changes = *method != HttpMethod::Get;
    let mut statuses = vec![429, 500, 503];
    statuses.extend([401, 403].into_iter().filter(|_| is_protected));
    statuses.extend((has(ParameterIn::Path)).then_some(404));
    statuses.extend((is_protected && changes).then_some(409));
    statuses.extend([412, 428].into_iter().filter(|_| takes("If-Match") && takes("If-None-Match")));
    statuses.extend((takes("If-Match") && !takes("If-None-Match")).then_some(428));
    statuses.extend(body.is_some().then_some(413));
    statuses.extend([400, 415].into_iter().filter(|_| is_json));
    statuses.extend((body.is_some() || has(ParameterIn::Query) || takes("If-Match")).then_some(422));
    statuses.extend((is_protected && changes).then_some(507));
    statuses
}

fn problem(status: u16) -> Response {
    let title =
        protocol::Code::ALL.iter().find(|code| code.status() == status).map(|code| code.title().trim());
    let content = Content::new(Some(Ref::from_schema_name("Problem")));
    Response::builder()
        .description(title.unwrap_or_default())
        .content("application/problem+json", content)
        .build()
}
