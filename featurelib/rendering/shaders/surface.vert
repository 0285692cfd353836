#version 330 core
// shading.py defines the formula. gl.py defines the names in capitals when it compiles this shader.
layout(location = 0) in vec3 position;
layout(location = NORMAL_LOC) in vec3 normal;
#ifdef TEXCOORD_0_LOC
layout(location = TEXCOORD_0_LOC) in vec2 uv;
out vec2 uv_here;
#endif
#ifdef COLOR_0_LOC
layout(location = COLOR_0_LOC) in vec4 colour;
out vec3 colour_here;
#endif

uniform mat4 V;
uniform mat4 P;

out float intensity;

void main() {
    vec4 in_camera = V * vec4(position, 1.0);
    bool is_orthographic = P[3][3] == 1.0;
    vec3 towards_camera = is_orthographic ? vec3(0.0, 0.0, 1.0) : normalize(-in_camera.xyz);
    float cosine = min(abs(dot(mat3(V) * normal, towards_camera)), 1.0);
    intensity = AMBIENT_SHARE + (1.0 - AMBIENT_SHARE) * cosine;
#ifdef TEXCOORD_0_LOC
    uv_here = uv;
#endif
#ifdef COLOR_0_LOC
    colour_here = colour.rgb;
#endif
    gl_Position = P * in_camera;
}
