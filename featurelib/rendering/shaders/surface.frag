#version 330 core
in float intensity;
#ifdef TEXCOORD_0_LOC
in vec2 uv_here;
#endif
#ifdef COLOR_0_LOC
in vec3 colour_here;
#endif

#ifdef TEXCOORD_0_LOC
struct Material { sampler2D base_color_texture; };
uniform Material material;
#endif

out vec4 fragment;

void main() {
    vec3 albedo = vec3(PLAIN_ALBEDO);
#ifdef COLOR_0_LOC
    albedo = colour_here;
#endif
#ifdef TEXCOORD_0_LOC
    albedo = texture(material.base_color_texture, uv_here).rgb;
#endif
    fragment = vec4(intensity * albedo, 1.0);
}
