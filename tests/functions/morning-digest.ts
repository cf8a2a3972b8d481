// Does its work only for who has the key of the service, and says what it was asked.

export default {
  async fetch(request: Request): Promise<Response> {
    if (request.headers.get("authorization") !== "Bearer service-role-key") {
      return Response.json({ error: "who are you?" }, { status: 401 });
    }
    if (request.headers.get("content-type") !== "application/json") {
      return Response.json({ error: "this is not JSON" }, { status: 415 });
    }
    return Response.json({ sent: true, asked: await request.json() });
  },
};
