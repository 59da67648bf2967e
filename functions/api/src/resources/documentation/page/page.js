// Shows the document with Swagger UI. Calls go to the address from which the page was loaded,
// including a path prefix.
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
    document.querySelector(".message").textContent = `The document could not be read: ${error.message}`;
  });
