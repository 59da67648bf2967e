// Swagger UI on the document that is served beside this page. Calls go to where the page came from, whatever path stands in front of it.
"use strict";

const here = new URL(".", location.href);

fetch(new URL("openapi.json", here))
  .then((answer) => {
    if (!answer.ok) throw new Error(`openapi.json: ${answer.status}`);
    return answer.json();
  })
  .then((spec) => {
    spec.servers = [{ url: here.href.replace(/\/$/, "") }];
    SwaggerUIBundle({
      spec,
      dom_id: "#page",
      deepLinking: true,
      docExpansion: "list",
      defaultModelsExpandDepth: 0,
      filter: true,
      tryItOutEnabled: true,
      validatorUrl: null,
    });
  })
  .catch((error) => {
    document.querySelector(".told").textContent = `The document could not be read: ${error.message}`;
  });
