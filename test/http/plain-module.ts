/** A handler module for several reactors: says which one answered, after a while if asked to. */

import { httpHandler } from '../../src/http/http-handler.js';

const answer = async (path: string, index: number) => {
  for (let i = 0; path === '/slow' && i < 50; i += 1) {
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
  return `reactor ${index}`;
};

export default httpHandler({
  onRequest: async (request, response) =>
    response.end(await answer(request.path, request.connection.reactor.index)),
});
