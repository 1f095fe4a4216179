//! The conversation with the planner: it asks for images, the ports look.

use std::collections::BTreeMap;

use futures_util::future::join_all;
use strata_plan::{
    BaseImage, BaseRequest, ContextId, ImageSource as PlannedSource, Plan, PlanErrors, Planner,
    Progress, Request,
};

use crate::ports::{ImageSource, Images, PortError};

/// Why there is no plan.
#[derive(Debug, thiserror::Error)]
pub enum PlanningError {
    /// The Dockerfile cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanErrors),
    /// A base image could not be had.
    #[error("base image `{}` is not available", request.written)]
    Base {
        /// Which, and where it is asked for.
        request: Box<BaseRequest>,
        /// Why.
        #[source]
        source: PortError,
    },
    /// An OCI layout was named that was not given.
    #[error("build context {} is no image", .0.0)]
    NoLayout(ContextId),
}

/// Plans a build, looking at configs of base images but at no layer.
pub async fn plan(
    request: Request,
    images: &dyn Images,
    layouts: &BTreeMap<ContextId, ImageSource>,
) -> Result<Plan, PlanningError> {
    let mut planner = Planner::new(request)?;
    loop {
        let requests = match planner.advance()? {
            Progress::Ready(plan) => return Ok(*plan),
            Progress::Needs(requests) => requests,
        };
        let mut sources = Vec::with_capacity(requests.len());
        for request in &requests {
            sources.push(match &request.image {
                PlannedSource::Reference(reference) => ImageSource::Named(reference.clone()),
                PlannedSource::Layout(id) => {
                    layouts.get(id).cloned().ok_or(PlanningError::NoLayout(*id))?
                }
            });
        }
        let asked = requests.iter().zip(&sources);
        let answers =
            join_all(asked.map(|(request, source)| images.resolve(source, &request.platform)))
                .await;
        for (request, answer) in requests.into_iter().zip(answers) {
            match answer {
                Ok(found) => planner.provide(
                    &request,
                    BaseImage {
                        manifest: found.manifest,
                        config: found.config,
                        layers: found.layers,
                    },
                ),
                Err(source) => {
                    return Err(PlanningError::Base { request: Box::new(request), source });
                }
            }
        }
    }
}
