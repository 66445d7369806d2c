package run.enfold.runtime;

import java.lang.reflect.Array;
import java.lang.reflect.GenericArrayType;
import java.lang.reflect.ParameterizedType;
import java.lang.reflect.Type;
import java.lang.reflect.TypeVariable;
import java.lang.reflect.WildcardType;
import java.util.HashMap;
import java.util.Map;

/** What generic types become once their variables are known. */
final class Types {
    private Types() {}

    /** A generic class with its arguments. */
    static final class Of implements ParameterizedType {
        private final Class<?> raw;
        private final Type[] arguments;

        Of(Class<?> raw, Type... arguments) {
            this.raw = raw;
            this.arguments = arguments;
        }

        @Override
        public Type[] getActualTypeArguments() {
            return arguments.clone();
        }

        @Override
        public Type getRawType() {
            return raw;
        }

        @Override
        public Type getOwnerType() {
            return raw.getDeclaringClass();
        }
    }

    /** The class of a type that has no free variables. */
    static Class<?> raw(Type type) {
        if (type instanceof Class) {
            return (Class<?>) type;
        }
        if (type instanceof ParameterizedType) {
            return (Class<?>) ((ParameterizedType) type).getRawType();
        }
        return Object.class;
    }

    /** What each type variable of a type and all that it extends stands for. Variables of raw types are left out. */
    static Map<TypeVariable<?>, Type> bindings(Type type) {
        Map<TypeVariable<?>, Type> known = new HashMap<>();
        collect(type, known);
        return known;
    }

    private static void collect(Type type, Map<TypeVariable<?>, Type> known) {
        if (type == null) {
            return;
        }
        Class<?> raw = raw(type);
        if (type instanceof ParameterizedType) {
            TypeVariable<?>[] variables = raw.getTypeParameters();
            Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
            for (int i = 0; i < variables.length; i++) {
                known.putIfAbsent(variables[i], substitute(arguments[i], known));
            }
        }
        collect(raw.getGenericSuperclass(), known);
        for (Type face : raw.getGenericInterfaces()) {
            collect(face, known);
        }
    }

    /** The type with its variables replaced. Unknown ones become their bound. */
    static Type substitute(Type type, Map<TypeVariable<?>, Type> known) {
        if (type instanceof TypeVariable) {
            Type value = known.get(type);
            if (value != null) {
                return value;
            }
            Type bound = ((TypeVariable<?>) type).getBounds()[0];
            return bound instanceof Class ? bound : raw(bound); // its own arguments may name the variable again
        }
        if (type instanceof ParameterizedType) {
            Type[] arguments = ((ParameterizedType) type).getActualTypeArguments();
            for (int i = 0; i < arguments.length; i++) {
                arguments[i] = substitute(arguments[i], known);
            }
            return new Of(raw(type), arguments);
        }
        if (type instanceof WildcardType) {
            return substitute(((WildcardType) type).getUpperBounds()[0], known);
        }
        if (type instanceof GenericArrayType) {
            Type part = substitute(((GenericArrayType) type).getGenericComponentType(), known);
            return part instanceof Class ? Array.newInstance((Class<?>) part, 0).getClass() : new ArrayOf(part);
        }
        return type;
    }

    /** An array of a generic type. */
    static final class ArrayOf implements GenericArrayType {
        private final Type part;

        ArrayOf(Type part) {
            this.part = part;
        }

        @Override
        public Type getGenericComponentType() {
            return part;
        }
    }

    /** The n-th argument that a type gives to one of its ancestors, or Object. */
    static Type argument(Type type, Class<?> ancestor, int n) {
        return bindings(type).getOrDefault(ancestor.getTypeParameters()[n], Object.class);
    }
}
